/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Channel: a channel's handle and the handlers of its messages. Handles are keys, so it needs no reference to its
 * session: after that is freed every call says so.
 */
#include "core.h"

#include <stddef.h>

PyTypeObject *channel_type;

static int channel_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((Channel *)object)->handlers);
    Py_VISIT(((Channel *)object)->owner);
    Py_VISIT(Py_TYPE(object));
    return 0;
}

static int channel_clear(PyObject *object) {
    Py_CLEAR(((Channel *)object)->handlers);
    Py_CLEAR(((Channel *)object)->owner);
    return 0;
}

static void channel_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    channel_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyObject *channel_join(PyObject *self, PyObject *unused) {
    (void)unused;
    return none_or_raise(pond_channel_join(((Channel *)self)->handle), NULL);
}

static PyObject *channel_leave(PyObject *self, PyObject *unused) {
    (void)unused;
    return none_or_raise(pond_channel_leave(((Channel *)self)->handle), NULL);
}

static PyObject *channel_state(PyObject *self, PyObject *unused) {
    int32_t state = pond_channel_state(((Channel *)self)->handle);
    (void)unused;
    if (state < 0) return raise_status(state, NULL);
    return PyLong_FromLong(state);
}

static PyObject *channel_presence(PyObject *self, PyObject *unused) {
    char *users;
    int32_t status = pond_channel_presence(((Channel *)self)->handle, &users, NULL);
    (void)unused;
    return take_string(status, users);
}

static PyObject *channel_set_join_params(PyObject *self, PyObject *argument) {
    const char *params;
    Py_ssize_t length;
    pond_error *error = NULL;
    int32_t status;
    if (text_argument(argument, &params, &length, 1) < 0) return NULL;
    status = pond_channel_set_join_params(((Channel *)self)->handle, params, &error);
    return none_or_raise(status, error);
}

typedef struct {
    const char *name, *payload;
    Py_ssize_t name_len, payload_len;
} Outgoing;

static int outgoing(PyObject *name, PyObject *payload, Outgoing *out) {
    return text_argument(name, &out->name, &out->name_len, 0) < 0 ||
                   text_argument(payload, &out->payload, &out->payload_len, 1) < 0
               ? -1
               : 0;
}

static PyObject *channel_send(PyObject *self, PyObject *args) {
    PyObject *name, *payload;
    Outgoing out;
    pond_error *error = NULL;
    int32_t status;
    if (!PyArg_ParseTuple(args, "OO", &name, &payload) || outgoing(name, payload, &out) < 0) return NULL;
    status = pond_channel_send_n(((Channel *)self)->handle, out.name, (size_t)out.name_len, out.payload,
                                 (size_t)out.payload_len, &error);
    return none_or_raise(status, error);
}

static PyObject *channel_send_volatile(PyObject *self, PyObject *args) {
    PyObject *name, *payload;
    Outgoing out;
    pond_error *error = NULL;
    int32_t status;
    if (!PyArg_ParseTuple(args, "OO", &name, &payload) || outgoing(name, payload, &out) < 0) return NULL;
    status = pond_channel_send_volatile(((Channel *)self)->handle, out.name, (size_t)out.name_len, out.payload,
                                        (size_t)out.payload_len, &error);
    if (status < 0) return raise_status(status, error);
    return PyBool_FromLong(status == POND_OK);
}

static PyObject *channel_request(PyObject *self, PyObject *args) {
    PyObject *name, *payload;
    unsigned long timeout_ms;
    Outgoing out;
    uint64_t ticket;
    pond_error *error = NULL;
    int32_t status;
    if (!PyArg_ParseTuple(args, "OOk", &name, &payload, &timeout_ms) || outgoing(name, payload, &out) < 0) return NULL;
    status = pond_channel_request_n(((Channel *)self)->handle, out.name, (size_t)out.name_len, out.payload,
                                    (size_t)out.payload_len, (uint32_t)timeout_ms, NULL, NULL, NULL, &ticket, &error);
    if (status < 0) return raise_status(status, error);
    return PyLong_FromUnsignedLongLong(ticket);
}

static PyObject *channel_cancel_request(PyObject *self, PyObject *argument) {
    unsigned long long ticket = PyLong_AsUnsignedLongLong(argument);
    int32_t status;
    if (PyErr_Occurred()) return NULL;
    status = pond_channel_cancel_request(((Channel *)self)->handle, ticket);
    if (status < 0) return raise_status(status, NULL);
    return PyBool_FromLong(status == POND_OK);
}

static PyObject *get_handlers(PyObject *self, void *closure) {
    PyObject *handlers = ((Channel *)self)->handlers;
    (void)closure;
    if (handlers == NULL) return PyTuple_New(0);
    Py_INCREF(handlers);
    return handlers;
}

/* Delivery trusts the shape of the tuple, so it is checked here. */
static int set_handlers(PyObject *self, PyObject *value, void *closure) {
    Py_ssize_t i, size;
    PyObject *old = ((Channel *)self)->handlers;
    (void)closure;
    if (value != NULL && !PyTuple_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "handlers must be a tuple");
        return -1;
    }
    size = value == NULL ? 0 : PyTuple_Size(value);
    for (i = 0; i < size; i++) {
        PyObject *pair = PyTuple_GetItem(value, i), *name;
        if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
            PyErr_SetString(PyExc_TypeError, "each handler must be a pair");
            return -1;
        }
        name = PyTuple_GetItem(pair, 0);
        if (name != Py_None && !PyBytes_Check(name)) {
            PyErr_SetString(PyExc_TypeError, "a handler's name must be bytes or None");
            return -1;
        }
    }
    Py_XINCREF(value);
    ((Channel *)self)->handlers = value;
    Py_XDECREF(old);
    return 0;
}

static PyObject *get_owner(PyObject *self, void *closure) {
    PyObject *owner = ((Channel *)self)->owner;
    (void)closure;
    if (owner == NULL) Py_RETURN_NONE;
    Py_INCREF(owner);
    return owner;
}

static int set_owner(PyObject *self, PyObject *value, void *closure) {
    PyObject *old = ((Channel *)self)->owner;
    (void)closure;
    Py_XINCREF(value);
    ((Channel *)self)->owner = value;
    Py_XDECREF(old);
    return 0;
}

static PyMethodDef methods[] = {
    {"join", channel_join, METH_NOARGS, NULL},
    {"leave", channel_leave, METH_NOARGS, NULL},
    {"state", channel_state, METH_NOARGS, NULL},
    {"presence", channel_presence, METH_NOARGS, NULL},
    {"set_join_params", channel_set_join_params, METH_O, NULL},
    {"send", channel_send, METH_VARARGS, NULL},
    {"send_volatile", channel_send_volatile, METH_VARARGS, NULL},
    {"request", channel_request, METH_VARARGS, NULL},
    {"cancel_request", channel_cancel_request, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"handlers", get_handlers, set_handlers, NULL, NULL},
    {"owner", get_owner, set_owner, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, channel_dealloc}, {Py_tp_traverse, channel_traverse}, {Py_tp_clear, channel_clear},
    {Py_tp_methods, methods},         {Py_tp_getset, getters},            {0, NULL},
};

static PyType_Spec spec = {
    "pondsocket_native._core.Channel", sizeof(Channel), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots,
};

int channel_register(PyObject *module) {
    channel_type = (PyTypeObject *)PyType_FromSpec(&spec);
    if (channel_type == NULL) return -1;
    return PyModule_AddObjectRef(module, "Channel", (PyObject *)channel_type);
}
