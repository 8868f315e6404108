/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Starts and ends servers: programs that say on stdout where they listen, and that end with their stdin.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

const char *server_command;

/* Reads the line that says ready, and the port in it. */
static int read_port(int fd, uint32_t limit_ms)
{
    char line[512];
    size_t filled = 0;
    int64_t end = now_ms() + limit_ms;
    while (filled < sizeof line - 1 && now_ms() < end) {
        struct pollfd pfd = {fd, POLLIN, 0};
        char *start, *colon;
        ssize_t got;
        if (poll(&pfd, 1, 100) <= 0) continue;
        got = read(fd, line + filled, sizeof line - 1 - filled);
        if (got <= 0) break;
        filled += (size_t)got;
        line[filled] = 0;
        start = strstr(line, "listening ws://");
        if (!start || !strchr(start, '\n')) continue;
        colon = strchr(start + 15, ':');
        return colon ? atoi(colon + 1) : 0;
    }
    return 0;
}

int server_start(server *self, int port, uint32_t limit_ms)
{
    char number[16];
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) return 0;
    snprintf(number, sizeof number, "%d", port);
    self->pid = fork();
    if (self->pid < 0) return 0;
    if (self->pid == 0) {
        const char *log = getenv("INTEROP_SERVER_LOG");
        int err = open(log ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0644);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        if (err >= 0) dup2(err, STDERR_FILENO);
        execl(server_command, server_command, "--port", number, "--exit-on-stdin-eof", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    self->input = in[1];
    self->port = read_port(out[0], limit_ms);
    /* What the server prints later goes nowhere, and must not end it. */
    if (self->port) {
        fcntl(out[0], F_SETFL, O_NONBLOCK);
        fcntl(out[0], F_SETPIPE_SZ, 1 << 20);
        return 1;
    }
    close(out[0]);
    server_kill(self);
    return 0;
}

void server_kill(server *self)
{
    if (self->pid <= 0) return;
    kill(self->pid, SIGKILL);
    while (waitpid(self->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    close(self->input);
    self->pid = 0;
}

int server_gone(server *self, uint32_t limit_ms)
{
    int64_t end = now_ms() + limit_ms;
    while (now_ms() < end) {
        if (waitpid(self->pid, NULL, WNOHANG) == self->pid) {
            close(self->input);
            self->pid = 0;
            return 1;
        }
        breathe();
    }
    return 0;
}

server *own_server(void)
{
    server *self = calloc(1, sizeof *self);
    if (!self || !server_start(self, 0, 30000)) give_up("the server did not start");
    return self;
}

void own_restart(server *self)
{
    int64_t end = now_ms() + 30000;
    server_kill(self);
    while (!server_start(self, self->port, 30000))
        if (now_ms() > end) give_up("the server did not start again");
}
