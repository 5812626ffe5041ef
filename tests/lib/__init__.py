"""What the live and replay tests share: the daemon, its clients, a real Postfix, log lines and system call traces."""
