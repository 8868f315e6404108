/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The C half of the Python binding: what would be too dear per message in Python. Everything here runs with the GIL
 * held, and the library calls nothing of Python's: events are pulled, and the wake function only writes to a socket.
 */
#ifndef POND_PYTHON_CORE_H
#define POND_PYTHON_CORE_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <pondsocket.h>

/* How many events are taken from the queue at once. */
#define BATCH 256

/* A received event, `pondsocket_native.Message`: owns a reference to the event, reads its fields when asked. */
typedef struct {
    PyObject_HEAD
    pond_event *event;
    PyObject *payload; /* parsed, once asked for */
} Message;

/* A channel: the handle, and the handlers of its messages. */
typedef struct {
    PyObject_HEAD
    pond_channel *handle; /* NULL once freed */
    PyObject *handlers;   /* tuple of (bytes or None, callable); replaced as a whole, never changed */
    PyObject *owner;      /* the Python channel */
} Channel;

/* A client and its queue. */
typedef struct {
    PyObject_HEAD
    pond_client *client; /* NULL once freed */
    pond_queue *queue;
    PyObject *channels; /* handle -> Channel */
    int paused;
    /* Pulled and not yet delivered: kept here, since a handler may pause, drain, or raise KeyboardInterrupt. */
    pond_event *batch[BATCH];
    uint32_t next, count;
} Session;

extern PyTypeObject *message_type, *channel_type, *session_type;
extern PyObject *error_factory; /* status, code, message, http_status, details -> exception */
extern PyObject *scan_once;     /* json.JSONDecoder().scan_once */
extern PyObject *json_loads;

/* Sets the Python exception for a status and (may be NULL) its error, which is freed. Returns NULL. */
PyObject *raise_status(int32_t status, pond_error *error);

/* NULL with an exception unless `status` is POND_OK or positive; else None. */
PyObject *none_or_raise(int32_t status, pond_error *error);

/* A Message that takes over the reference to `event`; frees it on failure. */
PyObject *message_new(pond_event *event);

/* A str or a bytes-like object as UTF-8 (pointer, length), NUL-terminated: str and bytes only. None is NULL if allowed. */
int text_argument(PyObject *object, const char **text, Py_ssize_t *length, int none_allowed);

/* The options of a dict {name: value or tuple}. NULL with an exception. */
pond_options *options_from_dict(PyObject *dict, pond_queue *queue);

/* A str that is freed as a pond string. */
PyObject *take_string(int32_t status, char *text);

int message_register(PyObject *module);
int channel_register(PyObject *module);
int session_register(PyObject *module);

#endif
