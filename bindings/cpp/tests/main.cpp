// SPDX-License-Identifier: GPL-3.0-or-later
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <pondsocket.hpp>

#include <cstdio>

int main(int argc, char **argv) {
    doctest::Context context(argc, argv);
    const int failed = context.run();
    if (context.shouldExit()) return failed;
    // Leak checkers see what is left after this.
    if (!pond::shutdown(std::chrono::seconds(10))) {
        std::fputs("pond::shutdown was not done in time\n", stderr);
        return 1;
    }
    return failed;
}
