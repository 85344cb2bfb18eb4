#!/bin/sh
set -e
hostnamectl set-hostname {{.hostname}}
sysctl -w net.ipv4.ip_forward=1
echo "uplink={{.uplink}}" > /etc/site-uplink
