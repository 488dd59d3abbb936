#!/bin/bash
# Lets a paused runner go on.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

let_go
say kind let-go
