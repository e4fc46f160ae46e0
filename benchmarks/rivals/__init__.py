"""What people would use instead of arrowsync, each as a program of its own."""
