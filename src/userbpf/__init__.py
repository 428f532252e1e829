"""userbpf: Linux's bpf(2) inside an ordinary process."""
