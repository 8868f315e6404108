/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every scenario: a function that notes what it sees.
 */
#ifndef INTEROP_SCENARIOS_H
#define INTEROP_SCENARIOS_H

#include "runner.h"

/* What recordings share with them. */
void refused(const char *path, const char *params);
void refused_often(const char *path);
const record *try_join(peer *peer, pond_channel *channel);
void tell(const char *what, const record *record, pond_channel *channel);
/* The presence event of that kind and person; NULL where none comes. */
const record *presence(peer *peer, int32_t kind, const char *who, size_t from);

/* connect.c */
void connect_accepted(void);
void connect_http(void);
void connect_params(void);
void reject_token(void);
void reject_code(void);
void reject_throw(void);
void reject_silent(void);
void reject_endpoint(void);
void reject_backoff(void);
void connect_twice(void);
void connect_later(void);
void connect_mute(void);
void connect_default(void);
void disconnect_clean(void);
void quiet_link(void);
void zombie_link(void);
void zombie_server(void);

/* join.c */
void join_accepted(void);
void join_params(void);
void join_declined(void);
void join_throws(void);
void join_silent(void);
void join_slow(void);
void join_reply_first(void);
void join_unmatched(void);
void join_once(void);
void join_offline(void);
void leave_channel(void);
void evict_self(void);
void evict_other(void);
void close_channel(void);
void join_alien_ack(void);

/* lost.c */
void close_me(void);
void server_dies(void);
void drop_while_joining(void);
void drop_while_rejoining(void);
void rejoin_once(void);
void requests_end(void);

/* message.c */
void broadcast(void);
void to_others(void);
void to_one(void);
void reply_name(void);
void reply_twice(void);
void tell_and_reply(void);
void no_handler(void);
void handler_throws(void);
void handler_declines(void);
void handler_silent(void);
void late_reply(void);
void many_requests(void);
void route_params(void);
void event_patterns(void);
void observers(void);
void server_news(void);

/* presence.c */
void presence_join(void);
void presence_update(void);
void presence_leave(void);
void presence_rejoin(void);
void presence_untracked(void);
void presence_shapes(void);

/* payload.c */
void unicode(void);
void numbers(void);
void big_payloads(void);
void deep_payloads(void);
void payload_types(void);
void local_checks(void);
void channel_names(void);
void bad_frames(void);
void batched_frames(void);
void early_frames(void);
void endpoint_errors(void);
void flood(void);

#endif
