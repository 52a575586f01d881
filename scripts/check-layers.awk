# The rules of check-layers, over all files of a tree. Prints one line per offence.

function layer(path) {
	if (path ~ /^vmm\/base\//) return 0
	if (path ~ /^vmm\/core\//) return 1
	if (path ~ /^vmm\/kvm\// || path ~ /^devices\/backend\//) return 2
	if (path ~ /^devices\/[^\/]*\// || path ~ /^firmware\//) return 3
	if (path ~ /^devices\//) return 4
	if (path ~ /^vmm\/[^\/]*$/) return 5
	if (path ~ /^vmm\/tools\//) return 6
	if (path ~ /^tests\//) return 7
	return -1
}

function folder(path) {
	sub(/\/[^\/]*$/, "", path)
	return path
}

function complain(text) {
	print FILENAME ":" FNR ": " text
	bad = 1
}

# The folders of layers 2 and 3 do not know each other.
function is_stranger(file, target) {
	return layer(file) ~ /^[23]$/ && layer(target) ~ /^[23]$/ && folder(file) != folder(target)
}

function check_include(file, target) {
	if (layer(target) > layer(file)) {
		complain(target " is of a higher layer")
	} else if (is_stranger(file, target)) {
		if (file ~ /^devices\// && target ~ /^devices\/backend\//) {
			if (target !~ interfaces)
				complain(target " is not a back end's interface header")
		} else {
			complain(folder(file) " and " folder(target) " are strangers")
		}
	}
}

function check_home(what, home) {
	if (FILENAME !~ home && FILENAME !~ /^tests\//)
		complain(what " has its home in " home)
}

BEGIN {
	interfaces = "^devices/backend/(blk|chr|net|vhost|vsock|display|input)\\.h$"
	home["^linux/kvm\\.h$"] = "^vmm/kvm/"
	home["^SDL"] = "^devices/backend/display_sdl[a-z_]*\\.[ch]$"
	home["^(X11|wayland)"] = "^devices/backend/display_sdl_lib\\.c$"
	home["^rfb/"] = "^devices/backend/display_vnc[a-z_]*\\.[ch]$"
	home["^libfdt"] = "^firmware/fdt(_source)?\\.c$"
	home["^(zlib|lz4.*|zstd.*|lzma)\\.h$"] = "^(firmware/unpack\\.c|devices/backend/(blk_[a-z0-9]*|png)\\.c)$"
	home["^slirp/"] = "^devices/backend/net_slirp\\.c$"
	home["^liburing"] = "^devices/backend/blk_[a-z]*\\.c$"
	home["^linux/vhost\\.h$"] = "^devices/backend/vhost\\.c$"
	home["^linux/if_tun\\.h$"] = "^devices/backend/net_tap[a-z_]*\\.c$"
	for (i = 1; i < ARGC; i++)
		exists[ARGV[i]] = 1
}

FNR == 1 {
	includes = 0
	own = FILENAME
	sub(/\.c$/, ".h", own)
	if (FILENAME !~ /\.c$/ || !(own in exists) || FILENAME ~ /^tests\//)
		own = ""
	own_seen = 0
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, part, "\"")
	target = part[2]
	includes++
	if (!(target in exists) || layer(target) < 0) {
		complain("\"" target "\" is no file; paths are from the root of the tree")
		next
	}
	if (own != "" && includes == 1 && target != own)
		complain("includes its own header " own " not first")
	if (own == target)
		own_seen = 1
	check_include(FILENAME, target)
	if (FILENAME ~ /\.h$/ && target ~ /\.h$/)
		edges[FILENAME] = edges[FILENAME] " " target
	next
}

/^[ \t]*#[ \t]*include[ \t]*</ {
	split($0, part, /[<>]/)
	includes++
	if (own != "" && includes == 1)
		complain("includes its own header " own " not first")
	for (pattern in home)
		if (part[2] ~ pattern)
			check_home("<" part[2] ">", home[pattern])
	next
}

/^[ \t]*(\/?\*|\/\/)/ { next }
/(^|[^_a-zA-Z0-9])epoll_(create1?|ctl|p?wait2?)\(/ { check_home("epoll", "^vmm/core/loop\\.c$") }
/(^|[^_a-zA-Z0-9"])exit\(/ { check_home("exit()", "^vmm/main\\.c$") }

# Depth first; state 1: on the way down from the start, 2: done.
function visit(file, path, list, count, i) {
	if (state[file] == 2)
		return
	if (state[file] == 1) {
		print "headers include each other in a circle:" path " " file
		bad = 1
		return
	}
	state[file] = 1
	count = split(edges[file], list, " ")
	for (i = 1; i <= count; i++)
		visit(list[i], path " " file)
	state[file] = 2
}

END {
	for (file in edges)
		visit(file, "")
	exit bad
}
