#!/usr/bin/env bash
# install.sh [DEST] [WORKDIR]: builds the emulator on a Debian 12 machine (as
# root, with Debian's packages only) and leaves what run.py needs in DEST (this
# folder). Nothing of the system is upgraded; Bochs' source comes from Debian 13
# through an apt configuration of its own. Safe to run again: it stops at once
# where DEST is complete and of this version.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DEST=$(mkdir -p "${1:-$HERE}" && cd "${1:-$HERE}" && pwd)
BOCHS=3.0+dfsg-1
SHA=78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b
ID=$(cd "$HERE" && cat install.sh bochs.patch rom.S init.c mkkernel.py run.py | sha256sum | cut -d' ' -f1)
if [ "$(cat "$DEST/.built" 2>/dev/null || true)" = "$ID" ]; then echo "emulator: already there"; exit 0; fi
W=${2:-$(mktemp -d)}; mkdir -p "$W"; cd "$W"
try() { for _ in 1 2 3; do "$@" && return 0; echo "again in 10 s: $*" >&2; sleep 10; done; return 1; }

try apt-get -q update
try env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends \
  g++ gcc libc6-dev make binutils patch xz-utils lz4 python3 busybox-static

# 1. Bochs' source, from Debian 13 (deb-src only), by the mirror that this machine uses
# shellcheck disable=SC2016 # apt's own variables
URI=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' 'Created-By: Packages' |
  sed -n 's/ Debian bookworm$//p' | head -1)
[ -n "$URI" ] || { echo "emulator: apt knows no mirror of Debian 12" >&2; exit 1; }
mkdir -p apt/parts apt/lists/partial apt/cache/archives/partial
cat > apt/parts/src.sources <<X
Types: deb-src
URIs: $URI
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
X
cat > apt/apt.conf <<X
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$W/apt/parts";
Dir::State::lists "$W/apt/lists";
Dir::Cache "$W/apt/cache";
APT::Sandbox::User "root";
X
if [ ! -s bochs_3.0+dfsg.orig.tar.xz ]; then
  try env APT_CONFIG="$W/apt/apt.conf" apt-get -q update
  # only the tar: our own patch, not Debian's
  try env APT_CONFIG="$W/apt/apt.conf" apt-get -q source --tar-only --download-only bochs=$BOCHS
fi
echo "$SHA  bochs_3.0+dfsg.orig.tar.xz" | sha256sum -c -
rm -rf src; mkdir src; tar -C src --strip-components=1 -xf bochs_3.0+dfsg.orig.tar.xz

# 2. Build it
cd src
patch -p1 -s < "$HERE/bochs.patch"
# 128-bit moves: Bochs works on 128-bit lanes, wider copies of them stall
F="-O2 -march=x86-64-v3 -mtune=native -mmove-max=128 -mstore-max=128 -fomit-frame-pointer -fno-plt -pipe"
CC=gcc CXX=g++ CFLAGS="$F" CXXFLAGS="$F" ./configure --enable-x86-64 --enable-avx --enable-evex --enable-amx \
  --enable-cpu-level=6 --enable-all-optimizations --disable-smp --disable-debugger --disable-docbook \
  --disable-show-ips --with-nogui --without-x --disable-gameport --disable-voodoo --disable-cdrom \
  --disable-logging > configure.log 2>&1
nice make -j"$(nproc)" > make.log 2>&1 || { tail -30 make.log; exit 1; }
mkdir -p "$DEST/bin"
strip -o "$DEST/bin/bochs" bochs
cd ..

# 3. The kernel: Debian 12's own for clouds, unpacked into a flat memory image
K=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
[ -n "$K" ]
rm -f linux-image-*.deb
try apt-get -q -o APT::Sandbox::User=root download "$K"
rm -rf kern; dpkg-deb -x linux-image-*.deb kern
python3 "$HERE/mkkernel.py" kern/boot/vmlinuz-* "$DEST/kernel.bin"

# 4. The ROM that starts the kernel, an empty VGA ROM, and the guest's /init
as -o rom.o "$HERE/rom.S"
objcopy -O binary -j .text rom.o "$DEST/rom.bin"
python3 - "$DEST/vga.bin" <<'X'
import sys
d = bytearray(b"\x55\xaa\x01\xcb" + bytes(508))
d[-1] = -sum(d) & 255
open(sys.argv[1], "wb").write(d)
X
gcc -O2 -static -o "$DEST/init" "$HERE/init.c"
[ "$HERE" = "$DEST" ] || cp "$HERE/run.py" "$DEST/"
cd "$DEST"
[ -n "${2:-}" ] || rm -rf "$W"

# 5. Does it run?
python3 "$DEST/run.py" --cpu amx --timeout 300 /bin/busybox grep -qw amx_int8 /proc/cpuinfo
echo "$ID" > "$DEST/.built"
echo "emulator: ready in $DEST"
