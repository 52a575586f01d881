"""Pictures of a guest's screen: reads PNG (8 bits, no interlace) and PPM (P6), and compares."""
import re
import struct
import zlib
from dataclasses import dataclass, field

from gradelib.disks import lab_file

SIDE_MAX = 8192
COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass
class Picture:
    """Three bytes a pixel, red first."""

    width: int
    height: int
    rows: list

    def pixel(self, x, y):
        """Its colour as three bytes, or None outside."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            return None
        return bytes(self.rows[y][3 * x:3 * x + 3])


@dataclass
class ScreenCheck:
    """What is compared: all of a picture, single pixels, areas of one colour."""

    picture: Picture | None = None
    tolerance: int = 0
    differing: int = 0
    pixels: list = field(default_factory=list)
    areas: list = field(default_factory=list)


# ---- Reading ----

def paeth(left, up, corner):
    """PNG's predictor (PNG 1.2, 6.6)."""
    guess = left + up - corner
    one, two, three = abs(guess - left), abs(guess - up), abs(guess - corner)
    if one <= two and one <= three:
        return left
    return up if two <= three else corner


def unfilter(kind, row, above, step):
    """Undoes one row's filter in place (PNG 1.2, 6)."""
    if kind == 2:
        row[:] = bytes((a + b) & 255 for a, b in zip(row, above))
    elif kind in (1, 3, 4):
        for i, value in enumerate(row):
            left = row[i - step] if i >= step else 0
            corner = above[i - step] if i >= step else 0
            guess = (left, (left + above[i]) // 2, paeth(left, above[i], corner))
            row[i] = (value + guess[(1, 3, 4).index(kind)]) & 255
    elif kind:
        raise ValueError("a filter that PNG does not know")
    return row


def read_png(data):
    """A PNG as programs write screenshots: 8 bits of red, green, blue, and perhaps alpha."""
    place, packed, header = 8, b"", None
    while place + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        chunk = data[place + 8:place + 8 + size]
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", chunk)
        elif kind == b"IDAT":
            packed += chunk
        place += 12 + size
    if header is None:
        raise ValueError("it has no header")
    width, height, depth, colour = header[:4]
    if depth != 8 or colour not in (2, 6) or header[6] or not 0 < width <= SIDE_MAX or \
            not 0 < height <= SIDE_MAX:
        raise ValueError("it is not one of 8 bits of red, green and blue without interlace")
    step = 3 if colour == 2 else 4
    stride = 1 + step * width
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(packed, stride * height + 1)
    if len(raw) != stride * height or not unpacker.eof:
        raise ValueError("it is cut")
    rows, above = [], bytearray(step * width)
    for y in range(height):
        above = unfilter(raw[y * stride], bytearray(raw[y * stride + 1:(y + 1) * stride]), above,
                         step)
        rows.append(above)
    if step == 4:
        rows = [without_alpha(row) for row in rows]
    return Picture(width, height, rows)


def without_alpha(row):
    """Every fourth byte left out."""
    out = bytearray(len(row) // 4 * 3)
    for channel in range(3):
        out[channel::3] = row[channel::4]
    return out


def read_ppm(data):
    """A binary PPM with 255 shades."""
    match = re.match(rb"P6\s+(?:#[^\n]*\n\s*)?(\d{1,4})\s+(\d{1,4})\s+255\s", data)
    if not match:
        raise ValueError("it is no PPM of the kind P6 with 255 shades")
    width, height, start = int(match[1]), int(match[2]), match.end()
    if len(data) < start + 3 * width * height or not width or not height:
        raise ValueError("it is cut")
    return Picture(width, height, [bytearray(data[start + 3 * width * y:][:3 * width])
                                   for y in range(height)])


def read_picture(data):
    """Either of them."""
    try:
        return read_png(data) if data.startswith(b"\x89PNG\r\n\x1a\n") else read_ppm(data)
    except (struct.error, zlib.error) as error:
        raise ValueError(f"it is damaged: {error}") from error


# ---- What a LAB.toml says of a screen ----

def read_places(reader, key, numbers):
    """[[x, y, "#rrggbb"], ...] with so many numbers in front."""
    places = []
    for item in reader.get(key, list, []):
        if not isinstance(item, list) or len(item) != numbers + 1 or \
                any(type(part) is not int or not 0 <= part <= SIDE_MAX
                    for part in item[:numbers]) or \
                not COLOUR.fullmatch(str(item[-1])):
            reader.fail(f'{key} has to be lists of {numbers} numbers and a "#rrggbb"')
        places.append((*item[:numbers], bytes.fromhex(item[-1][1:])))
    return places


def read_screen(reader, folder):
    """The table of a step `screen`."""
    data = lab_file(reader, "picture", folder)
    check = ScreenCheck(tolerance=reader.number("tolerance", 0, 0, 255),
                        differing=reader.number("differing", 0, 0, SIDE_MAX * SIDE_MAX),
                        pixels=read_places(reader, "pixels", 2),
                        areas=read_places(reader, "areas", 4))
    reader.finish()
    if data is not None:
        try:
            check.picture = read_picture(data)
        except ValueError as error:
            reader.fail(f"picture: {error}")
    elif not check.pixels and not check.areas:
        reader.fail("it needs a picture, pixels or areas")
    return check


# ---- Comparing ----

def colour(pixel):
    """A colour for people."""
    return "outside the screen" if pixel is None else "#" + pixel.hex()


def is_near(one, two, tolerance):
    """Whether two colours are the same but for `tolerance` in each shade."""
    return two is not None and all(abs(a - b) <= tolerance for a, b in zip(one, two))


def compare_whole(check, got):
    """None, or what was expected and what was there, of a whole picture."""
    wanted = check.picture
    if (wanted.width, wanted.height) != (got.width, got.height):
        return f"{wanted.width}x{wanted.height} pixels", f"{got.width}x{got.height}"
    first, count = None, 0
    for y, (one, two) in enumerate(zip(wanted.rows, got.rows)):
        if one == two:
            continue
        for x in range(got.width):
            if not is_near(wanted.pixel(x, y), got.pixel(x, y), check.tolerance):
                first, count = first or (x, y), count + 1
    if count <= check.differing:
        return None
    return (f"pixel {first[0]},{first[1]} {colour(wanted.pixel(*first))}",
            f"{colour(got.pixel(*first))}; {count} pixels of {got.width * got.height} differ")


def compare_screen(check, got):
    """None, or what was expected and what was there."""
    if check.picture:
        found = compare_whole(check, got)
        if found:
            return found
    for x, y, wanted in check.pixels:
        if not is_near(wanted, got.pixel(x, y), check.tolerance):
            return f"pixel {x},{y} {colour(wanted)}", colour(got.pixel(x, y))
    for left, top, width, height, wanted in check.areas:
        for y in range(top, top + height):
            for x in range(left, left + width):
                if not is_near(wanted, got.pixel(x, y), check.tolerance):
                    return (f"{width}x{height} pixels from {left},{top} all {colour(wanted)}",
                            f"pixel {x},{y} is {colour(got.pixel(x, y))}")
    return None
