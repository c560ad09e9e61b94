"""`python -m train` is the command `zoo`."""

from train.cli import main

main()
