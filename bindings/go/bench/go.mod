module pondsocket/bench

go 1.24

require (
	github.com/gorilla/websocket v1.5.3
	pondsocket v0.0.0
)

replace pondsocket => ../
