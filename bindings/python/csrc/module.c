/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The module, errors and strings.
 */
#include "core.h"

#include <string.h>

PyObject *error_factory, *scan_once, *json_loads;

PyObject *raise_status(int32_t status, pond_error *error) {
    PyObject *exception;
    if (error_factory == NULL) {
        PyErr_Format(PyExc_RuntimeError, "%s", pond_status_name(status));
    } else {
        exception = PyObject_CallFunction(error_factory, "issis", (int)status,
                                          error ? pond_error_code(error, NULL) : pond_status_name(status),
                                          error ? pond_error_message(error, NULL) : "",
                                          error ? (int)pond_error_http_status(error) : 0,
                                          error ? pond_error_details(error, NULL) : "null");
        if (exception != NULL) {
            PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
            Py_DECREF(exception);
        }
    }
    pond_error_free(error);
    return NULL;
}

PyObject *none_or_raise(int32_t status, pond_error *error) {
    if (status < 0) return raise_status(status, error);
    pond_error_free(error); /* a wait that timed out may tell why */
    Py_RETURN_NONE;
}

PyObject *take_string(int32_t status, char *text) {
    PyObject *result;
    if (status < 0) return raise_status(status, NULL);
    if (text == NULL) Py_RETURN_NONE;
    result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    pond_string_free(text);
    return result;
}

int text_argument(PyObject *object, const char **text, Py_ssize_t *length, int none_allowed) {
    if (object == Py_None && none_allowed) {
        *text = NULL;
        *length = 0;
        return 0;
    }
    if (PyUnicode_Check(object)) {
        *text = PyUnicode_AsUTF8AndSize(object, length);
        return *text == NULL ? -1 : 0;
    }
    if (PyBytes_Check(object)) return PyBytes_AsStringAndSize(object, (char **)text, length);
    PyErr_Format(PyExc_TypeError, "expected str or bytes, not %R", (PyObject *)Py_TYPE(object));
    return -1;
}

static PyObject *core_set_hooks(PyObject *module, PyObject *args) {
    PyObject *factory, *scan, *loads;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOO", &factory, &scan, &loads)) return NULL;
    Py_INCREF(factory), Py_INCREF(scan), Py_INCREF(loads);
    Py_XDECREF(error_factory), Py_XDECREF(scan_once), Py_XDECREF(json_loads);
    error_factory = factory, scan_once = scan, json_loads = loads;
    Py_RETURN_NONE;
}

static PyObject *core_version(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyUnicode_FromString(pond_version());
}

static PyObject *core_status_name(PyObject *module, PyObject *argument) {
    long status = PyLong_AsLong(argument);
    (void)module;
    if (status == -1 && PyErr_Occurred()) return NULL;
    return PyUnicode_FromString(pond_status_name((int32_t)status));
}

static PyObject *core_shutdown(PyObject *module, PyObject *argument) {
    unsigned long ms = PyLong_AsUnsignedLong(argument);
    int32_t status;
    (void)module;
    if (PyErr_Occurred()) return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = pond_shutdown((uint32_t)ms);
    Py_END_ALLOW_THREADS
    if (status < 0) return raise_status(status, NULL);
    return PyBool_FromLong(status == POND_OK);
}

static PyMethodDef methods[] = {
    {"set_hooks", core_set_hooks, METH_VARARGS, NULL},
    {"version", core_version, METH_NOARGS, NULL},
    {"status_name", core_status_name, METH_O, NULL},
    {"shutdown", core_shutdown, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* Single-phase on purpose: the library is one per process, so subinterpreters with a GIL of their own are refused. */
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_core", "The C half of pondsocket_native.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__core(void) {
    PyObject *module;
    if (pond_abi_version() != POND_ABI_VERSION) {
        PyErr_Format(PyExc_ImportError, "libpondsocket %s has ABI %u, this module was built for ABI %u", pond_version(),
                     (unsigned)pond_abi_version(), (unsigned)POND_ABI_VERSION);
        return NULL;
    }
    module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
    if (message_register(module) < 0 || channel_register(module) < 0 || session_register(module) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
