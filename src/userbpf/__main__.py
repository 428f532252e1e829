"""`python -m userbpf`."""

from userbpf.cli import main

main()
