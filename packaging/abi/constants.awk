# SPDX-License-Identifier: GPL-3.0-or-later
#
# Reads pondsocket.h, writes a C program that prints its constants: NAME VALUE.
BEGIN { print "#include <pondsocket.h>\n#include <stdio.h>\nint main(void) {" }
/^enum \{/ { inside = 1; next }
/^\}/ { inside = 0 }
inside && /^ +POND_[A-Z0-9_]+ = / { printf "    printf(\"%s %%lld\\n\", (long long)%s);\n", $1, $1 }
/^#define POND_(ABI_VERSION|FOREVER) / { printf "    printf(\"%s %%lld\\n\", (long long)%s);\n", $2, $2 }
END { print "    return 0;\n}" }
