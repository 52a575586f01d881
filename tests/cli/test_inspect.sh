#!/bin/bash
# vmm inspect with files as other programs make them: its JSON is JSON, a device tree's source is
# what dtc makes of it, an initrd of cpio's is counted.
. "$(dirname "$0")/lib.sh"

cd "$work" || exit 1
# json FILE EXPRESSION: true of the object x.
json() {
	"$vmm" inspect --json "$1" >json.out &&
		python3 -c 'import json, sys; x = json.load(open("json.out")); sys.exit(not eval(sys.argv[1]))' "$2"
}

"$vmm" --machine micro --hvc0 null --dump-dtb micro.dtb || exit 1
"$vmm" inspect micro.dtb >tree.out
check "a device tree" grep -qF 'compatible = "virtio,mmio";' tree.out
if command -v dtc >/dev/null; then
	same_tree() {
		sed '1,/^tree:/d' tree.out | dtc -I dts -O dtb -o again.dtb -q - &&
			cmp <(dtc -q -I dtb micro.dtb) <(dtc -q -I dtb again.dtb)
	}
	check "its source makes the same tree" same_tree
else
	skip "its source makes the same tree" "dtc is not installed"
fi

mkdir -p root/bin && echo hello >root/init && : >root/bin/sh && ln -s sh root/bin/ash
(cd root && find . | sort | cpio --quiet -o -H newc) >initrd 2>cpio.out || cat cpio.out
gzip -k initrd
for file in initrd initrd.gz; do
	check "the files of $file" json $file \
		'x["archives"][0]["files"] == 5 and "init" in x["archives"][0]["names"]'
done
cat initrd initrd.gz >both
check "one behind the other" json both \
	'[(a["packing"], a["whole"]) for a in x["archives"]] == [("uncompressed", 1), ("gzip", 1)]'
truncate -s 1M empty
check "a file of nothing" json empty 'x["bytes"] == 1 << 20'
truncate -s 4M disk && mke2fs -q -F -L 'a"b\c' disk
check "a disk" json disk 'x["volumes"][0]["label"] == "a\"b\\c"'

linux=$build/guest/default/vmlinuz-cloud
if [ -r "$linux" ]; then
	check "a stock kernel" json "$linux" \
		'x["version"].split()[0] in x["banner"] and len(x["header"]) > 35'
	no_config() {
		! "$vmm" inspect --config "$linux" 2>errors && grep -q CONFIG_IKCONFIG errors
	}
	check "it has no configuration inside" no_config
else
	skip "a stock kernel" "there is no $linux (make guest-default)"
fi
finish
