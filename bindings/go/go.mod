module pondsocket

go 1.24
