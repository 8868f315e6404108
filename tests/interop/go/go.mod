module pondsocket-interop

go 1.24.4

require github.com/gorilla/websocket v1.5.3
