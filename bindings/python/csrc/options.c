/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Options out of a dict {name of the setter: its argument or tuple of arguments}.
 */
#include "core.h"

#include <string.h>

typedef struct {
    const char *name;
    char form; /* which member of the union */
    union {
        int32_t (*u32)(pond_options *, uint32_t);
        int32_t (*i32)(pond_options *, int32_t);
        int32_t (*u64)(pond_options *, uint64_t);
        int32_t (*two_u32)(pond_options *, uint32_t, uint32_t);
        int32_t (*two_u64)(pond_options *, uint64_t, uint64_t);
        int32_t (*u32_u64)(pond_options *, uint32_t, uint64_t);
        int32_t (*text)(pond_options *, const char *);
        int32_t (*two_texts)(pond_options *, const char *, const char *);
    } set;
} Setter;

static const Setter setters[] = {
    {"connect_timeout_ms", 'u', {.u32 = pond_options_set_connect_timeout_ms}},
    {"join_timeout_ms", 'u', {.u32 = pond_options_set_join_timeout_ms}},
    {"response_timeout_ms", 'u', {.u32 = pond_options_set_response_timeout_ms}},
    {"backoff_ms", 'U', {.two_u32 = pond_options_set_backoff_ms}},
    {"max_reconnect_attempts", 'i', {.i32 = pond_options_set_max_reconnect_attempts}},
    {"ping_interval_ms", 'u', {.u32 = pond_options_set_ping_interval_ms}},
    {"pong_timeout_ms", 'u', {.u32 = pond_options_set_pong_timeout_ms}},
    {"queue_limit", 'u', {.u32 = pond_options_set_queue_limit}},
    {"overflow", 'i', {.i32 = pond_options_set_overflow}},
    {"outbound_limit", 'l', {.u64 = pond_options_set_outbound_limit}},
    {"legacy_grace_ms", 'u', {.u32 = pond_options_set_legacy_grace_ms}},
    {"retry_refused", 'i', {.i32 = pond_options_set_retry_refused}},
    {"max_message_bytes", 'L', {.two_u64 = pond_options_set_max_message_bytes}},
    {"inbound_limit", 'm', {.u32_u64 = pond_options_set_inbound_limit}},
    {"ca_file", 't', {.text = pond_options_set_ca_file}},
    {"ca_pem", 't', {.text = pond_options_set_ca_pem}},
    {"client_cert", 'T', {.two_texts = pond_options_set_client_cert}},
    {"insecure_skip_verify", 'i', {.i32 = pond_options_set_insecure_skip_verify}},
    {"ask_before_dial", 'i', {.i32 = pond_options_set_ask_before_dial}},
};

static int bad_value(const char *name) {
    if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s: out of range", name);
    }
    return -1;
}

/* An int from 0 to `limit`. */
static int number(PyObject *object, unsigned long long limit, unsigned long long *out) {
    *out = PyLong_AsUnsignedLongLong(object);
    return PyErr_Occurred() || *out > limit ? -1 : 0;
}

static PyObject *element(PyObject *tuple, Py_ssize_t index) {
    if (!PyTuple_Check(tuple) || PyTuple_Size(tuple) != 2) {
        PyErr_SetString(PyExc_TypeError, "expected a pair");
        return NULL;
    }
    return PyTuple_GetItem(tuple, index);
}

/* 0, or -1 with an exception; *status tells what the setter said. */
static int apply(const Setter *setter, pond_options *options, PyObject *value, int32_t *status) {
    unsigned long long a, b;
    const char *text, *second;
    Py_ssize_t length;
    PyObject *first, *other;
    if (strchr("ULmT", setter->form) != NULL) {
        first = element(value, 0);
        other = first == NULL ? NULL : element(value, 1);
        if (other == NULL) return -1;
        if (setter->form == 'T') {
            if (text_argument(first, &text, &length, 1) < 0 || text_argument(other, &second, &length, 1) < 0) return -1;
            *status = setter->set.two_texts(options, text, second);
            return 0;
        }
        if (number(first, setter->form == 'L' ? UINT64_MAX : UINT32_MAX, &a) < 0) return bad_value(setter->name);
        if (number(other, setter->form == 'U' ? UINT32_MAX : UINT64_MAX, &b) < 0) return bad_value(setter->name);
        *status = setter->form == 'U'   ? setter->set.two_u32(options, (uint32_t)a, (uint32_t)b)
                  : setter->form == 'L' ? setter->set.two_u64(options, a, b)
                                        : setter->set.u32_u64(options, (uint32_t)a, b);
        return 0;
    }
    if (setter->form == 't') {
        if (text_argument(value, &text, &length, 1) < 0) return -1;
        *status = setter->set.text(options, text);
    } else if (setter->form == 'i') {
        long signed_value = PyLong_AsLong(value);
        if (PyErr_Occurred() || signed_value > INT32_MAX || signed_value < INT32_MIN) return bad_value(setter->name);
        *status = setter->set.i32(options, (int32_t)signed_value);
    } else {
        if (number(value, setter->form == 'u' ? UINT32_MAX : UINT64_MAX, &a) < 0) return bad_value(setter->name);
        *status = setter->form == 'u' ? setter->set.u32(options, (uint32_t)a) : setter->set.u64(options, a);
    }
    return 0;
}

static int set_headers(pond_options *options, PyObject *headers, int32_t *status) {
    PyObject *name, *value;
    Py_ssize_t position = 0, length;
    const char *name_text, *value_text;
    if (!PyDict_Check(headers)) {
        PyErr_SetString(PyExc_TypeError, "headers must be a dict");
        return -1;
    }
    while (*status == POND_OK && PyDict_Next(headers, &position, &name, &value)) {
        if (text_argument(name, &name_text, &length, 0) < 0 || text_argument(value, &value_text, &length, 0) < 0) return -1;
        *status = pond_options_set_header(options, name_text, value_text);
    }
    return 0;
}

static int set_one(pond_options *options, PyObject *key, PyObject *value) {
    Py_ssize_t length;
    const char *name;
    size_t i;
    int32_t status = POND_OK;
    int done = -2;
    if (text_argument(key, &name, &length, 0) < 0) return -1;
    if (strcmp(name, "headers") == 0) {
        done = set_headers(options, value, &status);
    } else {
        for (i = 0; i < sizeof setters / sizeof *setters; i++) {
            if (strcmp(setters[i].name, name) == 0) done = apply(&setters[i], options, value, &status);
        }
    }
    if (done == -2) {
        PyErr_Format(PyExc_TypeError, "no such option: %s", name);
        return -1;
    }
    if (done == 0 && status == POND_ERROR_INVALID_ARGUMENT) {
        PyErr_Format(PyExc_ValueError, "%s: out of range or not well-formed", name);
        return -1;
    }
    if (done == 0 && status < 0) raise_status(status, NULL);
    return done == 0 && status >= 0 ? 0 : -1;
}

pond_options *options_from_dict(PyObject *dict, pond_queue *queue) {
    pond_options *options;
    PyObject *key, *value;
    Py_ssize_t position = 0;
    int32_t status = pond_options_new(&options);
    if (status < 0) {
        raise_status(status, NULL);
        return NULL;
    }
    status = pond_options_set_queue(options, queue);
    if (status < 0) {
        raise_status(status, NULL);
        goto failed;
    }
    while (PyDict_Next(dict, &position, &key, &value)) {
        if (set_one(options, key, value) < 0) goto failed;
    }
    return options;
failed:
    pond_options_free(options);
    return NULL;
}
