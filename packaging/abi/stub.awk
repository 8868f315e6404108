# SPDX-License-Identifier: GPL-3.0-or-later
#
# Reads pondsocket.h, writes C that defines each of its functions with just that signature and nothing in it: the interface as
# debug information, which the Rust library, stripped as it is and with types of its own, cannot give.
BEGIN { print "#include <pondsocket.h>" }
/^POND_API / { collecting = 1; text = "" }
collecting {
    text = text " " $0
    if ($0 !~ /;/) next
    collecting = 0
    sub(/^ POND_API /, "", text)
    sub(/;.*/, "", text)
    gsub(/ +/, " ", text)
    print text (text ~ /^void / ? " { for (;;) {} }" : " { return 0; }")
}
END { if (collecting) exit 1 }
