/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Trials of the official clients: a driver for each does what it is told, one line at a time, and these functions say
 * what is to be done. Fields of a line are separated by tabs; the answer is one line.
 *
 *   new URL PARAMS PING_MS CONNECT_MS   a client (numbered from 0); PARAMS and payloads are JSON objects; 0 = default
 *   connect N   disconnect N       state N -> CONNECTED...   connects N -> how often CONNECTED
 *   join N ROOM PARAMS   leave N ROOM   channel N ROOM -> JOINED...   declines N ROOM -> how often DECLINED
 *   send N ROOM EVENT PAYLOAD      -> ok, or error and why
 *   ask N ROOM EVENT PAYLOAD MS    -> its number K
 *   answer K                       -> pending, or reply and its payload, or error and why
 *   count N ROOM EVENT -> messages   payload N ROOM EVENT -> of the last one   users N ROOM -> JSON array
 *   watch N ROOM EVENT             eight handlers   order -> in which they were called
 *
 * An answer of "-": the client has no such thing.
 */
#include "bench.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { TRIAL_MS = 10000 };

const char *driver_command, *client_name;

proxy *net;
static int to_driver = -1, from_driver = -1;
static pid_t driver;
static int64_t ends;

void ended(const char *how)
{
    if (driver > 0) kill(driver, SIGKILL);
    give_up("%s", how);
}

void not_here(void)
{
    forget_notes();
    ended("-");
}

char *drive(const char *format, ...)
{
    char line[1 << 16];
    size_t len = 0;
    char *command = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&command, format, args) < 0) abort();
    va_end(args);
    if (dprintf(to_driver, "%s\n", command) < 0) ended("crashes");
    while (len < sizeof line - 1) {
        struct pollfd pfd = {from_driver, POLLIN, 0};
        ssize_t got;
        if (now_ms() > ends) ended("hangs");
        if (poll(&pfd, 1, 50) <= 0) continue;
        got = read(from_driver, line + len, 1);
        if (got <= 0) ended("crashes");
        if (line[len] == '\n') break;
        len++;
    }
    line[len] = 0;
    if (getenv("INTEROP_TRACE")) fprintf(stderr, "%lld %s => %s\n", (long long)now_ms(), command, line);
    if (!strcmp(line, "-")) {
        not_here();
    }
    return text("%s", line);
}

int is(const char *answer, const char *expected)
{
    return strcmp(answer, expected) == 0;
}

void pause_a_little(void)
{
    int i;
    for (i = 0; i < 10; i++) breathe();
}

void begin(void)
{
    int in[2], out[2];
    ends = now_ms() + TRIAL_MS;
    signal(SIGPIPE, SIG_IGN);
    net = proxy_start(shared_port);
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) give_up("pipe");
    driver = fork();
    if (driver < 0) give_up("fork");
    if (driver == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        if (!getenv("INTEROP_TRACE")) dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        execl(driver_command, driver_command, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_driver = in[1];
    from_driver = out[0];
}

char *address(const char *query)
{
    return url_of("ws", proxy_port(net), text("/api/socket%s", query));
}

void made(const char *name, int ping_ms)
{
    /* A short connect timeout, so that there is time to see what comes after it. */
    drive("new\t%s\t%s\t%d\t2000", address(""), who(name), ping_ms);
}

void online_driver(int n, const char *name, int ping_ms)
{
    made(name, ping_ms);
    drive("connect\t%d", n);
    if (!within(5000, is(drive("state\t%d", n), "CONNECTED"))) ended("never CONNECTED");
}

int joined_within(int n, const char *name, int ms)
{
    return within(ms, is(drive("channel\t%d\t%s", n, name), "JOINED"));
}

void join_driver(int n, const char *name, const char *username)
{
    drive("join\t%d\t%s\t{\"username\":\"%s\"}", n, name, username);
    if (!joined_within(n, name, 4000)) ended("never JOINED");
}

char *begun(int ping_ms)
{
    char *name = room("a");
    begin();
    online_driver(0, "alice", ping_ms);
    return name;
}

char *in_room(int ping_ms)
{
    char *name = begun(ping_ms);
    join_driver(0, name, "alice");
    return name;
}

char *asked(const char *name, const char *event, const char *payload, int ms)
{
    char *number = drive("ask\t0\t%s\t%s\t%s\t%d", name, event, payload, ms), *answer = NULL;
    if (!within(ms + 1500, !is(answer = drive("answer\t%s", number), "pending"))) return text("never ends");
    return answer;
}

const char *pong(const char *name)
{
    char *answer;
    if (server_is("js-legacy")) { /* no request ids: the answer is a message */
        drive("send\t0\t%s\tping\t{\"n\":1}", name);
        return within(2500, !is(drive("count\t0\t%s\tpong", name), "0")) ? "pong" : "no pong";
    }
    answer = asked(name, "ping", "{\"n\":1}", 2500);
    return strstr(answer, "reply") == answer && strstr(answer, "room") ? "pong"
           : strstr(answer, "reply") == answer                         ? "wrong reply"
                                                                       : "no pong";
}
