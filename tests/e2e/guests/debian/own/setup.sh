#!/bin/bash
# The setup script of own-guest.test.ts: what a user does to an image.
set -eu
grep -q answer=42 /etc/demo.conf
useradd --create-home demo
install -D -m 4755 /bin/true "/opt/it's a \"name\"/tool"
rm -r /usr/share/zoneinfo/Africa
