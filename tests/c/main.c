/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pond-tests [PART-OF-A-NAME]: runs every test, those whose delivery matters in every mode. POND_TEST_MODE limits the
 * modes: push, pull, dispatch, fd, wake.
 */
#include "pond_test.h"

#include <signal.h>

static const group groups[] = {
    {"connection", connection_tests}, {"dial", dial_tests},         {"channel", channel_tests},
    {"rejoin", rejoin_tests},         {"message", message_tests},   {"request", request_tests},
    {"presence", presence_tests},     {"argument", argument_tests}, {"handle", handle_tests},
    {"lifetime", lifetime_tests},     {"queue", queue_tests},       {"json", json_tests},
};
static const char *const mode_names[MODES] = {"push", "pull", "dispatch", "fd", "wake"};

enum { MOST_TESTS = 128, MOST_NAME = 96 };

int main(int argc, char **argv)
{
    const char *only = getenv("POND_TEST_MODE");
    int failed = 0, run = 0;
    size_t g;

    /* The library must not need this; the default action of SIGPIPE would end the program, and is a test by itself. */
    signal(SIGPIPE, SIG_DFL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (mode = 0; mode < MODES; mode++) {
        if (only && *only && strcmp(only, mode_names[mode]) != 0) continue;
        for (g = 0; g < sizeof groups / sizeof *groups; g++) {
            static char names[MOST_TESTS][MOST_NAME];
            struct CMUnitTest selected[MOST_TESTS];
            char title[MOST_NAME];
            size_t n = 0;
            const test *t;
            for (t = groups[g].tests; t->name; t++) {
                if (!(t->modes & 1 << mode)) continue;
                if (n == MOST_TESTS) return 2;
                snprintf(names[n], MOST_NAME, "%s/%s [%s]", groups[g].name, t->name, mode_names[mode]);
                if (argc > 1 && !strstr(names[n], argv[1])) continue;
                selected[n] = (struct CMUnitTest){names[n], t->run, test_setup, test_teardown, NULL};
                n++;
            }
            if (n == 0) continue;
            snprintf(title, sizeof title, "%s, %s", groups[g].name, mode_names[mode]);
            failed += _cmocka_run_group_tests(title, selected, n, NULL, NULL);
            run += (int)n;
        }
    }
    printf("pond-tests: %d tests, %d failed\n", run, failed);
    return failed || !run ? EXIT_FAILURE : EXIT_SUCCESS;
}
