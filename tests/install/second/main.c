/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two Rust libraries in one program, both at work: the other one panics and contains it before, while and after ours is used.
 */
#include <pondsocket.h>
#include <stdio.h>

int second_answer(void);

int main(int argc, char **argv)
{
    pond_client *client;
    pond_channel *channel;
    pond_event *answer;
    if (argc < 2 || second_answer() != 42) return 2;
    if (pond_client_new(argv[1], "{\"token\":\"secret\"}", NULL, &client, NULL) != POND_OK) return 3;
    if (pond_client_channel(client, "/chat/second", NULL, &channel, NULL) != POND_OK) return 4;
    pond_client_connect(client);
    pond_channel_join(channel);
    if (pond_channel_wait_state(channel, POND_CHANNEL_JOINED, 20000, NULL) != POND_OK || second_answer() != 42) return 5;
    if (pond_channel_call(channel, "ping", "{\"n\":1}", 20000, &answer, NULL) != POND_OK) return 6;
    printf("second: %d, answer: %s\n", second_answer(), pond_event_payload(answer, NULL));
    pond_event_free(answer);
    return pond_shutdown(20000) == POND_OK ? 0 : 7;
}
