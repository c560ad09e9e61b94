"""JUDGE: figures for made images. Each file is one measure; `command` is `zoo judge`."""
