/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

go_pond_pump *go_pond_pump_new(int32_t *status, int32_t *fd)
{
    go_pond_pump *pump = calloc(1, sizeof *pump);
    *fd = -1;
    if (!pump) {
        *status = POND_ERROR_NO_MEMORY;
        return NULL;
    }
    *status = pond_queue_new(&pump->queue);
    if (*status != POND_OK) {
        free(pump);
        return NULL;
    }
    /* Without a descriptor the pump waits in next_many. */
    if (pond_queue_fd(pump->queue, fd) != POND_OK) *fd = -1;
    return pump;
}

void go_pond_pump_free(go_pond_pump *pump)
{
    while (pump->next < pump->taken) pond_event_free(pump->events[pump->next++]);
    pond_queue_free(pump->queue);
    free(pump);
}

static char *put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

int32_t go_pond_pull(go_pond_pump *pump, uint32_t timeout_ms, char *buffer, size_t size, go_pond_record *records,
                     go_pond_pulled *out)
{
    char *at = buffer;
    memset(out, 0, sizeof *out);
    if (pump->next == pump->taken) {
        int32_t status;
        pump->next = pump->taken = 0;
        status = pond_queue_next_many(pump->queue, timeout_ms, pump->events, GO_POND_BATCH, &pump->taken);
        if (status != POND_OK) return status;
    }
    while (pump->next < pump->taken) {
        const pond_event *event = pump->events[pump->next];
        go_pond_record *record = &records[out->count];
        pond_event_view view;
        size_t need, left = size - (size_t)(at - buffer);
        int message;

        pond_event_read(event, &view, sizeof view);
        message = view.kind == POND_EVENT_MESSAGE;
        need = view.name_len + view.payload_len + view.request_id_len;
        if (!message)
            need += view.changed_len + view.users_len + view.message_len + view.error_code_len + view.details_len;
        if (need > left) {
            if (out->count == 0) out->need = need;
            break;
        }
        record->channel = (uint64_t)(uintptr_t)view.channel;
        record->kind = view.kind;
        record->offset = (uint32_t)(at - buffer);
        record->name_len = (uint32_t)view.name_len;
        record->payload_len = (uint32_t)view.payload_len;
        record->request_id_len = (uint32_t)view.request_id_len;
        at = put(at, view.name, view.name_len);
        at = put(at, view.payload, view.payload_len);
        at = put(at, view.request_id, view.request_id_len);
        if (!message) {
            record->id = (uint64_t)(uintptr_t)view.user_data;
            record->status = view.status;
            record->state = view.state;
            record->previous_state = view.previous_state;
            record->presence_kind = view.presence_kind;
            record->http_status = view.http_status;
            record->close_code = pond_event_close_code(event);
            record->attempt = view.attempt;
            record->retry_ms = view.retry_ms;
            record->connect_count = view.connect_count;
            record->count = view.count;
            record->in_doubt = pond_event_in_doubt(event);
            record->changed_len = (uint32_t)view.changed_len;
            record->users_len = (uint32_t)view.users_len;
            record->message_len = (uint32_t)view.message_len;
            record->error_code_len = (uint32_t)view.error_code_len;
            record->details_len = (uint32_t)view.details_len;
            at = put(at, view.changed, view.changed_len);
            at = put(at, view.users, view.users_len);
            at = put(at, view.message, view.message_len);
            at = put(at, view.error_code, view.error_code_len);
            at = put(at, view.details, view.details_len);
        }
        pond_event_free(pump->events[pump->next++]);
        out->count++;
    }
    out->used = (uint64_t)(at - buffer);
    return POND_OK;
}

int32_t go_pond_send(uintptr_t channel, const char *event, size_t event_len, const char *payload, size_t payload_len,
                     int32_t volatile_, pond_error **error)
{
    pond_channel *to = (pond_channel *)channel;
    return volatile_ ? pond_channel_send_volatile(to, event, event_len, payload, payload_len, error)
                     : pond_channel_send_n(to, event, event_len, payload, payload_len, error);
}

int32_t go_pond_request(uintptr_t channel, const char *event, size_t event_len, const char *payload,
                        size_t payload_len, uint32_t timeout_ms, uintptr_t id, uint64_t *ticket, pond_error **error)
{
    return pond_channel_request_n((pond_channel *)channel, event, event_len, payload, payload_len, timeout_ms, NULL,
                                  (void *)id, NULL, ticket, error);
}
