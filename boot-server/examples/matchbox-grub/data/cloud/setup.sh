#!/bin/sh
# {{.role}}
curl -fsS 'http://10.30.0.2:8080/generic?{{.request.raw_query}}' > /etc/setup.conf
