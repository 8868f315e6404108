#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes what can be handed on, of what was built: dist.sh [archive] [deb]; both without an argument. `make dist` calls it.
#   pondsocket-VERSION-SYSTEM-MACHINE.tar.gz  may be unpacked anywhere
#   libpondsocket-dev_VERSION_ARCH.deb        for /usr; libraries, headers, pkg-config and CMake files
# Built twice from the same libraries they are the same, byte for byte: order, owners and modes are fixed, times are that of the
# last commit (or SOURCE_DATE_EPOCH).
#   OUT    where they go (build/dist)
#   BUILD  where the libraries are (target/release)
set -eu
cd "$(dirname "$0")/.."
OUT=${OUT:-build/dist}
[ $# -gt 0 ] || set -- archive deb
umask 022
export LC_ALL=C
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -r Cargo.toml +%s)}
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
series=${version%.*}
case $version in 0.*) ;; *) series=${version%%.*} ;; esac
mkdir -p "$OUT"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# All times the same: those of symbolic links, too.
settle() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }

archive() {
    name=pondsocket-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
    PREFIX=/$name DESTDIR=$dir packaging/install.sh install >/dev/null
    mkdir -p "$dir/$name/share/doc/pondsocket"
    cp README.md LICENSE CHANGELOG.md "$dir/$name/share/doc/pondsocket"
    chmod 644 "$dir/$name/share/doc/pondsocket/"*
    settle "$dir/$name"
    tar -C "$dir" --sort=name --owner=0 --group=0 --numeric-owner --format=gnu -cf - "$name" | gzip -n -9 >"$OUT/$name.tar.gz.new"
    mv "$OUT/$name.tar.gz.new" "$OUT/$name.tar.gz"
    echo "$OUT/$name.tar.gz"
}

deb() {
    command -v dpkg-deb >/dev/null 2>&1 || { echo "dist.sh: no dpkg-deb here, no .deb" >&2; return 1; }
    arch=$(dpkg --print-architecture)
    multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || ${CC:-cc} -print-multiarch)
    root=$dir/deb
    mkdir -p "$root/DEBIAN" "$root/usr/share/doc/libpondsocket-dev"
    PREFIX=/usr LIBDIR=/usr/lib/$multiarch DESTDIR=$root PC_ABSOLUTE=1 packaging/install.sh install >/dev/null
    glibc=$(objdump -T "$root/usr/lib/$multiarch/libpondsocket.so.$version" | sed -n 's/.*(GLIBC_\([0-9.]*\)).*/\1/p' | sort -V | tail -n 1)
    gzip -n -9 <CHANGELOG.md >"$root/usr/share/doc/libpondsocket-dev/changelog.gz"
    cat >"$root/usr/share/doc/libpondsocket-dev/copyright" <<EOF
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: PondSocket
Source: https://github.com/eleven-am/pondsocket

Files: *
Copyright: the PondSocket authors
License: GPL-3.0-or-later
 On Debian systems the text of the GNU General Public License, version 3, is in
 /usr/share/common-licenses/GPL-3.
EOF
    chmod 644 "$root/usr/share/doc/libpondsocket-dev/"*
    cat >"$root/DEBIAN/control" <<EOF
Package: libpondsocket-dev
Version: $version
Architecture: $arch
Multi-Arch: same
Section: libdevel
Priority: optional
Maintainer: The PondSocket authors <noreply@github.com>
Homepage: https://github.com/eleven-am/pondsocket
Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f 1)
Provides: libpondsocket$series (= $version)
Depends: libc6 (>= ${glibc:-2.17}), libgcc-s1
Suggests: ca-certificates, pkg-config, cmake
Description: native PondSocket client
 Shared and static library, headers for C and C++, pkg-config and CMake files.
 .
 Joins channels, sends, asks and gets answers, watches presence, and survives
 bad networks, for every program that can call C.
EOF
    printf 'activate-noawait ldconfig\n' >"$root/DEBIAN/triggers"
    (cd "$root" && find usr -type f | sort | xargs md5sum) >"$root/DEBIAN/md5sums"
    chmod 644 "$root/DEBIAN/"*
    settle "$root"
    dpkg-deb --root-owner-group -Zxz --build "$root" "$OUT/libpondsocket-dev_${version}_$arch.deb" >/dev/null
    echo "$OUT/libpondsocket-dev_${version}_$arch.deb"
}

for what; do
    case $what in archive) archive ;; deb) deb ;; *) echo "dist.sh: no $what" >&2; exit 2 ;; esac
done
