#!/bin/sh
# Starts what is in the image: the app in /srv/app where there is one, with what its requirements.txt names. It is read
# together with this app's own, so that pip stops where they do not agree.
set -e
if [ -f /srv/app/requirements.txt ]; then
    pip install --user --quiet --no-cache-dir --disable-pip-version-check -r requirements.txt -r /srv/app/requirements.txt
fi
if [ -z "$BLOCKS" ] && [ -f /srv/app/app.py ]; then
    export BLOCKS=/srv/app/app.py
fi
exec python app.py
