/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Session: one client with a queue of its own, and the delivery of its events.
 */
#include "core.h"

#include <string.h>
#ifdef _WIN32
#include <winsock2.h>
#else
#include <sys/socket.h>
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

PyTypeObject *session_type;

static PyObject *session_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *url_object, *params_object, *dict;
    const char *url, *params;
    Py_ssize_t length;
    pond_options *options;
    pond_error *error = NULL;
    int32_t status;
    Session *self;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    (void)keywords;
    if (!PyArg_ParseTuple(args, "OOO!", &url_object, &params_object, &PyDict_Type, &dict) ||
        text_argument(url_object, &url, &length, 0) < 0 || text_argument(params_object, &params, &length, 1) < 0) {
        return NULL;
    }
    self = (Session *)alloc(type, 0);
    if (self == NULL) return NULL;
    self->channels = PyDict_New();
    if (self->channels == NULL) goto failed;
    status = pond_queue_new(&self->queue);
    if (status < 0) {
        raise_status(status, NULL);
        goto failed;
    }
    options = options_from_dict(dict, self->queue);
    if (options == NULL) goto failed;
    Py_BEGIN_ALLOW_THREADS /* CA files are read */
    status = pond_client_new(url, params, options, &self->client, &error);
    Py_END_ALLOW_THREADS
    pond_options_free(options);
    if (status < 0) {
        raise_status(status, error);
        goto failed;
    }
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return NULL;
}

static int session_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((Session *)object)->channels);
    Py_VISIT(Py_TYPE(object));
    return 0;
}

static int session_clear(PyObject *object) {
    Py_CLEAR(((Session *)object)->channels);
    return 0;
}

/* The client ends; its requests complete, as events that can still be drained. */
static void end(Session *self) {
    pond_client *client = self->client;
    self->client = NULL;
    if (client == NULL) return;
    Py_BEGIN_ALLOW_THREADS /* waits for a running wake function */
    pond_client_free(client);
    Py_END_ALLOW_THREADS
}

static void session_dealloc(PyObject *object) {
    Session *self = (Session *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    end(self);
    while (self->next < self->count) pond_event_free(self->batch[self->next++]);
    if (self->queue != NULL) pond_queue_free(self->queue);
    session_clear(object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* The exception of a handler goes to `report`; one that is no Exception (KeyboardInterrupt) goes on. */
static int report_exception(PyObject *report, PyObject *callback) {
    PyObject *type, *value, *traceback, *result;
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) PyException_SetTraceback(value, traceback);
    result = PyObject_CallFunctionObjArgs(report, callback, value, NULL);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    if (result == NULL) return -1;
    Py_DECREF(result);
    return 0;
}

static int call(PyObject *callback, PyObject *message, PyObject *report) {
    PyObject *result = PyObject_CallFunctionObjArgs(callback, message, NULL);
    if (result == NULL) return report_exception(report, callback);
    Py_DECREF(result);
    return 0;
}

/* Takes over `event`. */
static int deliver_message(pond_event *event, Channel *channel, PyObject *report) {
    PyObject *handlers = channel == NULL ? NULL : channel->handlers, *message = NULL;
    Py_ssize_t i, size;
    size_t name_len;
    const char *name;
    int result = 0;
    if (handlers == NULL || (size = PyTuple_Size(handlers)) == 0) {
        pond_event_free(event);
        return 0;
    }
    Py_INCREF(handlers); /* a handler may register others */
    name = pond_event_name(event, &name_len);
    for (i = 0; i < size && result == 0; i++) {
        PyObject *pair = PyTuple_GetItem(handlers, i), *wanted = PyTuple_GetItem(pair, 0);
        if (wanted != Py_None) {
            char *text;
            Py_ssize_t length;
            if (PyBytes_AsStringAndSize(wanted, &text, &length) < 0) {
                result = -1;
                break;
            }
            if ((size_t)length != name_len || memcmp(text, name, name_len) != 0) continue;
        }
        if (message == NULL) {
            message = message_new(event);
            event = NULL;
            if (message == NULL) {
                result = -1;
                break;
            }
        }
        result = call(PyTuple_GetItem(pair, 1), message, report);
    }
    if (event != NULL) pond_event_free(event);
    Py_XDECREF(message);
    Py_DECREF(handlers);
    return result;
}

static int deliver_other(pond_event *event, Channel *channel, PyObject *sink, PyObject *report) {
    PyObject *message = message_new(event), *result;
    if (message == NULL) return -1;
    result = PyObject_CallFunctionObjArgs(sink, message, channel == NULL ? Py_None : (PyObject *)channel, NULL);
    Py_DECREF(message);
    if (result == NULL) return report_exception(report, sink);
    Py_DECREF(result);
    return 0;
}

/* A new reference, or NULL (with or without an exception). */
static Channel *find_channel(Session *self, pond_channel *handle) {
    PyObject *key, *found;
    if (handle == NULL || self->channels == NULL) return NULL;
    key = PyLong_FromVoidPtr(handle);
    if (key == NULL) return NULL;
    found = PyDict_GetItemWithError(self->channels, key);
    Py_XINCREF(found);
    Py_DECREF(key);
    return (Channel *)found;
}

/* drain(max_events, sink, report) -> bool: whether events may be left. */
static PyObject *session_drain(PyObject *object, PyObject *args) {
    Session *self = (Session *)object;
    PyObject *sink, *report;
    Channel *channel = NULL; /* of the event before: mostly the same */
    unsigned long max_events, done = 0;
    int result = 0, more = 1;
    if (!PyArg_ParseTuple(args, "kOO", &max_events, &sink, &report)) return NULL;
    while (result == 0 && done < max_events && !self->paused) {
        pond_event *event;
        pond_channel *handle;
        if (self->next == self->count) {
            int32_t status;
            if (self->queue == NULL) break;
            self->next = self->count = 0;
            status = pond_queue_next_many(self->queue, 0, self->batch, BATCH, &self->count);
            if (status == POND_INTERRUPTED) continue;
            if (status < 0) {
                raise_status(status, NULL);
                result = -1;
                break;
            }
            if (self->count == 0) {
                more = 0;
                break;
            }
        }
        event = self->batch[self->next++];
        done++;
        handle = pond_event_channel(event);
        /* A channel that was freed by its handler has the handle NULL, as client events have. */
        if (channel == NULL || channel->handle == NULL || channel->handle != handle) {
            Py_XDECREF((PyObject *)channel);
            channel = find_channel(self, handle);
            if (channel == NULL && PyErr_Occurred()) {
                pond_event_free(event);
                result = -1;
                break;
            }
        }
        result = pond_event_kind(event) == POND_EVENT_MESSAGE ? deliver_message(event, channel, report)
                                                              : deliver_other(event, channel, sink, report);
    }
    Py_XDECREF((PyObject *)channel);
    if (result < 0) return NULL;
    return PyBool_FromLong(more);
}

static PyObject *session_connect(PyObject *self, PyObject *unused) {
    (void)unused;
    return none_or_raise(pond_client_connect(((Session *)self)->client), NULL);
}

static PyObject *session_disconnect(PyObject *self, PyObject *unused) {
    (void)unused;
    return none_or_raise(pond_client_disconnect(((Session *)self)->client), NULL);
}

static PyObject *session_suspend(PyObject *self, PyObject *unused) {
    (void)unused;
    return none_or_raise(pond_client_suspend(((Session *)self)->client), NULL);
}

static PyObject *session_resume(PyObject *self, PyObject *unused) {
    (void)unused;
    return none_or_raise(pond_client_resume(((Session *)self)->client), NULL);
}

static PyObject *session_reconnect_now(PyObject *self, PyObject *unused) {
    (void)unused;
    return none_or_raise(pond_client_reconnect_now(((Session *)self)->client), NULL);
}

static PyObject *session_free(PyObject *self, PyObject *unused) {
    (void)unused;
    end((Session *)self);
    Py_RETURN_NONE;
}

static PyObject *session_state(PyObject *self, PyObject *unused) {
    int32_t state = pond_client_state(((Session *)self)->client);
    (void)unused;
    if (state < 0) return raise_status(state, NULL);
    return PyLong_FromLong(state);
}

static PyObject *session_connection_id(PyObject *self, PyObject *unused) {
    char *id = NULL;
    int32_t status = pond_client_connection_id(((Session *)self)->client, &id);
    (void)unused;
    return take_string(status, id);
}

/* flush(timeout_ms) -> bool: whether everything is written. Blocks, without the GIL. */
static PyObject *session_flush(PyObject *self, PyObject *argument) {
    unsigned long ms = PyLong_AsUnsignedLong(argument);
    pond_client *client = ((Session *)self)->client;
    int32_t status;
    if (PyErr_Occurred()) return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = pond_client_flush(client, (uint32_t)ms);
    Py_END_ALLOW_THREADS
    if (status < 0) return raise_status(status, NULL);
    return PyBool_FromLong(status == POND_OK);
}

static PyObject *session_set_params(PyObject *self, PyObject *argument) {
    const char *params;
    Py_ssize_t length;
    pond_error *error = NULL;
    int32_t status;
    if (text_argument(argument, &params, &length, 1) < 0) return NULL;
    status = pond_client_set_params(((Session *)self)->client, params, &error);
    return none_or_raise(status, error);
}

static PyObject *session_set_header(PyObject *self, PyObject *args) {
    const char *name, *value;
    if (!PyArg_ParseTuple(args, "sz", &name, &value)) return NULL;
    return none_or_raise(pond_client_set_header(((Session *)self)->client, name, value), NULL);
}

static PyObject *session_answer_dial(PyObject *self, PyObject *args) {
    unsigned long attempt;
    const char *url, *params;
    pond_error *error = NULL;
    int32_t status;
    if (!PyArg_ParseTuple(args, "kzz", &attempt, &url, &params)) return NULL;
    status = pond_client_answer_dial(((Session *)self)->client, (uint32_t)attempt, url, params, &error);
    return none_or_raise(status, error);
}

static PyObject *session_stats(PyObject *self, PyObject *unused) {
    pond_stats s;
    int32_t status = pond_client_stats(((Session *)self)->client, &s, sizeof s);
    (void)unused;
    if (status < 0) return raise_status(status, NULL);
    return Py_BuildValue("KKKKKKKKKKK", (unsigned long long)s.bytes_in, (unsigned long long)s.bytes_out,
                         (unsigned long long)s.frames_in, (unsigned long long)s.frames_out, (unsigned long long)s.dropped,
                         (unsigned long long)s.dials, (unsigned long long)s.connects,
                         (unsigned long long)s.inbound_events, (unsigned long long)s.inbound_bytes,
                         (unsigned long long)s.outbound_messages, (unsigned long long)s.rtt_us);
}

static PyObject *session_fd(PyObject *self, PyObject *unused) {
    int32_t fd, status = pond_queue_fd(((Session *)self)->queue, &fd);
    (void)unused;
    if (status < 0) return raise_status(status, NULL);
    return PyLong_FromLong(fd);
}

/* Runs on a thread of the library, without the GIL: one byte says that there is something to drain. A full socket
 * says so already. */
static void wake(const pond_event *event, void *user_data) {
    (void)event;
#ifdef _WIN32
    (void)send((SOCKET)(uintptr_t)user_data, "", 1, 0);
#else
    (void)send((int)(intptr_t)user_data, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
#endif
}

/* set_wake(socket's descriptor or -1) */
static PyObject *session_set_wake(PyObject *self, PyObject *argument) {
    long long fd = PyLong_AsLongLong(argument);
    pond_queue *queue = ((Session *)self)->queue;
    int32_t status;
    if (fd == -1 && PyErr_Occurred()) return NULL;
    Py_BEGIN_ALLOW_THREADS /* waits for a running wake function */
    status = pond_queue_set_wake(queue, fd < 0 ? NULL : wake, (void *)(intptr_t)fd, NULL);
    Py_END_ALLOW_THREADS
    return none_or_raise(status, NULL);
}

/* channel(name, join params or None) -> Channel: the live one of that name, or a new one. */
static PyObject *session_channel(PyObject *object, PyObject *args) {
    Session *self = (Session *)object;
    const char *name, *params;
    pond_channel *handle;
    pond_error *error = NULL;
    PyObject *key;
    Channel *channel;
    int32_t status;
    if (!PyArg_ParseTuple(args, "sz", &name, &params)) return NULL;
    status = pond_client_channel(self->client, name, params, &handle, &error);
    if (status < 0) return raise_status(status, error);
    channel = find_channel(self, handle);
    if (channel != NULL || PyErr_Occurred()) return (PyObject *)channel;
    channel = PyObject_GC_New(Channel, channel_type);
    if (channel == NULL) return NULL;
    channel->handle = handle;
    channel->handlers = NULL;
    channel->owner = NULL;
    PyObject_GC_Track((PyObject *)channel);
    key = PyLong_FromVoidPtr(handle);
    if (key == NULL || PyDict_SetItem(self->channels, key, (PyObject *)channel) < 0) {
        Py_DECREF((PyObject *)channel);
        channel = NULL;
    }
    Py_XDECREF(key);
    return (PyObject *)channel;
}

/* free_channel(channel): leaves it; its name is free again, and nothing of it is delivered any more but replies. */
static PyObject *session_free_channel(PyObject *object, PyObject *argument) {
    Session *self = (Session *)object;
    pond_channel *handle;
    PyObject *key;
    int32_t status;
    if (!PyObject_TypeCheck(argument, channel_type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Channel");
        return NULL;
    }
    handle = ((Channel *)argument)->handle;
    ((Channel *)argument)->handle = NULL;
    if (handle == NULL) Py_RETURN_NONE;
    key = PyLong_FromVoidPtr(handle);
    if (key == NULL) return NULL;
    if (PyDict_DelItem(self->channels, key) < 0) PyErr_Clear();
    Py_DECREF(key);
    Py_BEGIN_ALLOW_THREADS
    status = pond_channel_free(handle);
    Py_END_ALLOW_THREADS
    /* With its client freed the handle is gone already: that is what was asked for. */
    return none_or_raise(status == POND_ERROR_INVALID_HANDLE ? POND_OK : status, NULL);
}

static PyObject *get_paused(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(((Session *)self)->paused);
}

static int set_paused(PyObject *self, PyObject *value, void *closure) {
    int truth = value == NULL ? 0 : PyObject_IsTrue(value);
    (void)closure;
    if (truth < 0) return -1;
    ((Session *)self)->paused = truth;
    return 0;
}

static PyMethodDef methods[] = {
    {"drain", session_drain, METH_VARARGS, NULL},
    {"connect", session_connect, METH_NOARGS, NULL},
    {"disconnect", session_disconnect, METH_NOARGS, NULL},
    {"suspend", session_suspend, METH_NOARGS, NULL},
    {"resume", session_resume, METH_NOARGS, NULL},
    {"reconnect_now", session_reconnect_now, METH_NOARGS, NULL},
    {"free", session_free, METH_NOARGS, NULL},
    {"state", session_state, METH_NOARGS, NULL},
    {"connection_id", session_connection_id, METH_NOARGS, NULL},
    {"flush", session_flush, METH_O, NULL},
    {"set_params", session_set_params, METH_O, NULL},
    {"set_header", session_set_header, METH_VARARGS, NULL},
    {"answer_dial", session_answer_dial, METH_VARARGS, NULL},
    {"stats", session_stats, METH_NOARGS, NULL},
    {"fd", session_fd, METH_NOARGS, NULL},
    {"set_wake", session_set_wake, METH_O, NULL},
    {"channel", session_channel, METH_VARARGS, NULL},
    {"free_channel", session_free_channel, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"paused", get_paused, set_paused, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, session_new},         {Py_tp_dealloc, session_dealloc}, {Py_tp_traverse, session_traverse},
    {Py_tp_clear, session_clear},     {Py_tp_methods, methods},         {Py_tp_getset, getters},
    {0, NULL},
};

static PyType_Spec spec = {
    "pondsocket_native._core.Session", sizeof(Session), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots,
};

int session_register(PyObject *module) {
    session_type = (PyTypeObject *)PyType_FromSpec(&spec);
    if (session_type == NULL) return -1;
    return PyModule_AddObjectRef(module, "Session", (PyObject *)session_type);
}
