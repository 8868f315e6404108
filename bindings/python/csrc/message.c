/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Message: an event whose fields are read when they are asked for.
 */
#include "core.h"

PyTypeObject *message_type;

PyObject *message_new(pond_event *event) {
    Message *self = PyObject_GC_New(Message, message_type);
    if (self == NULL) {
        pond_event_free(event);
        return NULL;
    }
    /* Not tracked yet: as long as no payload is parsed it cannot be part of a cycle. */
    self->event = event;
    self->payload = NULL;
    return (PyObject *)self;
}

static int message_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((Message *)object)->payload);
    Py_VISIT(Py_TYPE(object));
    return 0;
}

static int message_clear(PyObject *object) {
    Py_CLEAR(((Message *)object)->payload);
    return 0;
}

static void message_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    message_clear(object);
    pond_event_free(((Message *)object)->event);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

typedef const char *(*text_getter)(const pond_event *, size_t *);
typedef int32_t (*int_getter)(const pond_event *);
typedef uint32_t (*uint_getter)(const pond_event *);

/* Function pointers in a union: a cast between them and void * is not C. */
typedef union {
    text_getter text;
    int_getter signed_int;
    uint_getter unsigned_int;
} Getter;

static PyObject *get_text(PyObject *self, void *closure) {
    size_t length;
    const char *text = ((const Getter *)closure)->text(((Message *)self)->event, &length);
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
}

static PyObject *get_int(PyObject *self, void *closure) {
    return PyLong_FromLong(((const Getter *)closure)->signed_int(((Message *)self)->event));
}

static PyObject *get_uint(PyObject *self, void *closure) {
    return PyLong_FromUnsignedLong(((const Getter *)closure)->unsigned_int(((Message *)self)->event));
}

static PyObject *parse(const char *json, size_t length) {
    PyObject *text = PyUnicode_DecodeUTF8(json, (Py_ssize_t)length, "replace"), *zero, *pair, *value;
    if (text == NULL) return NULL;
    zero = PyLong_FromLong(0);
    if (zero == NULL) {
        Py_DECREF(text);
        return NULL;
    }
    /* The scanner itself: half of json.loads is looking for white space around the value. */
    pair = PyObject_CallFunctionObjArgs(scan_once, text, zero, NULL);
    Py_DECREF(zero);
    if (pair != NULL) {
        value = PyTuple_GetItem(pair, 0);
        Py_XINCREF(value);
        Py_DECREF(pair);
    } else {
        /* Anything unusual, white space as well: json.loads finds the right words. */
        if (PyErr_ExceptionMatches(PyExc_StopIteration) || PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
            value = PyObject_CallFunctionObjArgs(json_loads, text, NULL);
        } else {
            value = NULL;
        }
    }
    Py_DECREF(text);
    return value;
}

static PyObject *get_json(PyObject *self, void *closure) {
    size_t length;
    const char *text = ((const Getter *)closure)->text(((Message *)self)->event, &length);
    return parse(text, length);
}

static PyObject *get_payload(PyObject *object, void *closure) {
    Message *self = (Message *)object;
    (void)closure;
    if (self->payload == NULL) {
        size_t length;
        const char *text = pond_event_payload(self->event, &length);
        self->payload = parse(text, length);
        if (self->payload == NULL) return NULL;
        if (!PyObject_GC_IsTracked(object)) PyObject_GC_Track(object);
    }
    Py_INCREF(self->payload);
    return self->payload;
}

static PyObject *get_raw(PyObject *self, void *closure) {
    size_t length;
    const char *text = pond_event_payload(((Message *)self)->event, &length);
    (void)closure;
    return PyBytes_FromStringAndSize(text, (Py_ssize_t)length);
}

static PyObject *get_ticket(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLongLong(pond_event_ticket(((Message *)self)->event));
}

static PyObject *message_match(PyObject *self, PyObject *argument) {
    const char *pattern;
    Py_ssize_t length;
    pond_event *out;
    int32_t status;
    if (text_argument(argument, &pattern, &length, 0) < 0) return NULL;
    status = pond_event_match(((Message *)self)->event, pattern, &out);
    if (status < 0) return raise_status(status, NULL);
    if (status == POND_EMPTY) Py_RETURN_NONE;
    return message_new(out);
}

static PyObject *lookup(PyObject *self, PyObject *argument,
                        const char *(*find)(const pond_event *, const char *, size_t *)) {
    const char *name, *text;
    Py_ssize_t length;
    size_t found;
    if (text_argument(argument, &name, &length, 0) < 0) return NULL;
    text = find(((Message *)self)->event, name, &found);
    if (text == NULL) Py_RETURN_NONE;
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)found, "replace");
}

static PyObject *message_param(PyObject *self, PyObject *argument) { return lookup(self, argument, pond_event_param); }

static PyObject *message_query(PyObject *self, PyObject *argument) { return lookup(self, argument, pond_event_query); }

static PyObject *message_repr(PyObject *self) {
    PyObject *name = PyObject_GetAttrString(self, "name"), *channel = NULL, *result = NULL;
    if (name != NULL) channel = PyObject_GetAttrString(self, "channel_name");
    if (channel != NULL) result = PyUnicode_FromFormat("<Message %R on %R>", name, channel);
    Py_XDECREF(name);
    Py_XDECREF(channel);
    return result;
}

#define GETTER(name, kind, function) static Getter name = {.kind = function}
GETTER(name_getter, text, pond_event_name);
GETTER(channel_name_getter, text, pond_event_channel_name);
GETTER(text_payload_getter, text, pond_event_payload);
GETTER(request_id_getter, text, pond_event_request_id);
GETTER(changed_getter, text, pond_event_changed);
GETTER(users_getter, text, pond_event_users);
GETTER(code_getter, text, pond_event_error_code);
GETTER(message_getter, text, pond_event_message);
GETTER(details_getter, text, pond_event_details);
GETTER(kind_getter, signed_int, pond_event_kind);
GETTER(state_getter, signed_int, pond_event_state);
GETTER(previous_getter, signed_int, pond_event_previous_state);
GETTER(close_getter, signed_int, pond_event_close_code);
GETTER(presence_getter, signed_int, pond_event_presence_kind);
GETTER(status_getter, signed_int, pond_event_status);
GETTER(http_getter, signed_int, pond_event_http_status);
GETTER(attempt_getter, unsigned_int, pond_event_attempt);
GETTER(retry_getter, unsigned_int, pond_event_retry_ms);
GETTER(connects_getter, unsigned_int, pond_event_connect_count);
GETTER(in_doubt_getter, unsigned_int, pond_event_in_doubt);
GETTER(count_getter, unsigned_int, pond_event_count);

static PyGetSetDef getters[] = {
    {"name", get_text, NULL, "str: the event's name, as the server sent it.", &name_getter},
    {"event", get_text, NULL, "str: the same as name.", &name_getter},
    {"channel_name", get_text, NULL, "str: the channel's name.", &channel_name_getter},
    {"request_id", get_text, NULL, "str: the id of the request that it belongs to, as on the wire.", &request_id_getter},
    {"raw", get_raw, NULL, "bytes: the payload's JSON, as the sender wrote it. Nothing is parsed.", NULL},
    {"text", get_text, NULL, "str: the payload's JSON, as the sender wrote it. Nothing is parsed.", &text_payload_getter},
    {"payload", get_payload, NULL, "The payload, parsed when first asked for. ValueError: not JSON that Python can read.",
     NULL},
    {"kind", get_int, NULL, NULL, &kind_getter},
    {"state", get_int, NULL, NULL, &state_getter},
    {"previous_state", get_int, NULL, NULL, &previous_getter},
    {"close_code", get_int, NULL, NULL, &close_getter},
    {"presence_kind", get_int, NULL, NULL, &presence_getter},
    {"status", get_int, NULL, NULL, &status_getter},
    {"http_status", get_int, NULL, NULL, &http_getter},
    {"attempt", get_uint, NULL, NULL, &attempt_getter},
    {"retry_ms", get_uint, NULL, NULL, &retry_getter},
    {"connect_count", get_uint, NULL, NULL, &connects_getter},
    {"in_doubt", get_uint, NULL, NULL, &in_doubt_getter},
    {"count", get_uint, NULL, NULL, &count_getter},
    {"ticket", get_ticket, NULL, NULL, NULL},
    {"changed", get_json, NULL, NULL, &changed_getter},
    {"users", get_json, NULL, NULL, &users_getter},
    {"error_code", get_text, NULL, NULL, &code_getter},
    {"error_message", get_text, NULL, NULL, &message_getter},
    {"details", get_text, NULL, NULL, &details_getter},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
    {"match", message_match, METH_O,
     "match(pattern: str) -> Message | None\n\nThe message with params, if its name matches \"user/:id\" or \"*\"."},
    {"param", message_param, METH_O,
     "param(name: str) -> str | None\n\nWhat the pattern's \":name\" matched; only on a message that came through one."},
    {"query", message_query, METH_O,
     "query(name: str) -> str | None\n\nA value of the query behind the name (\"move?x=1\"); as param."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A received message. Reading raw or text parses nothing; payload parses once."},
    {Py_tp_dealloc, message_dealloc},
    {Py_tp_traverse, message_traverse},
    {Py_tp_clear, message_clear},
    {Py_tp_repr, message_repr},
    {Py_tp_getset, getters},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    "pondsocket_native.Message", sizeof(Message), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots,
};

int message_register(PyObject *module) {
    message_type = (PyTypeObject *)PyType_FromSpec(&spec);
    if (message_type == NULL) return -1;
    return PyModule_AddObjectRef(module, "Message", (PyObject *)message_type);
}
