#!/usr/bin/env python3
"""mkkernel.py VMLINUZ OUT: the kernel's flat memory image, as it lies from
physical address 16 MiB on, from a Debian bzImage (LZ4 or XZ)."""
import struct, subprocess, sys
d = open(sys.argv[1], 'rb').read()
elf = None
for magic, tool in ((b'\x02\x21\x4c\x18', ['lz4', '-dc']), (b'\xfd7zXZ\0', ['xz', '-dc'])):
    i = -1
    while elf is None and (i := d.find(magic, i + 1)) >= 0:
        o = subprocess.run(tool, input=d[i:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        if o[:4] == b'\x7fELF':
            elf = o
if elf is None:
    sys.exit('no kernel found in ' + sys.argv[1])
entry, phoff = struct.unpack_from('<QQ', elf, 24)
phnum, = struct.unpack_from('<H', elf, 56)
base = 0x1000000
assert entry == base, hex(entry)
img = bytearray()
for k in range(phnum):
    typ, fl, off, va, pa, fs, ms, al = struct.unpack_from('<IIQQQQQQ', elf, phoff + 56 * k)
    if typ != 1:
        continue
    end = pa + ms - base
    if len(img) < end:
        img += bytes(end - len(img))
    img[pa - base:pa - base + fs] = elf[off:off + fs]
open(sys.argv[2], 'wb').write(img)
print('kernel: %d MiB in memory' % (len(img) >> 20))
