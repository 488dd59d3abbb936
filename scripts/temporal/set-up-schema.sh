#!/bin/sh
# Makes Temporal's two databases and brings their tables to the version of the image; where they are up to date it changes nothing.
# Runs in temporalio/admin-tools, whose temporal-sql-tool reads SQL_PASSWORD itself.
set -eu

SQL_PASSWORD=$(cat "$SQL_PASSWORD_FILE")
export SQL_PASSWORD

schemas=/etc/temporal/schema/postgresql/v12

set_up() { # DATABASE SCHEMA
  sql_tool "$1" create
  sql_tool "$1" setup-schema --version 0.0
  sql_tool "$1" update-schema --schema-dir "$schemas/$2/versioned"
}

sql_tool() { # DATABASE COMMAND...
  database=$1
  shift
  temporal-sql-tool --plugin postgres12 --endpoint "$SQL_HOST" --port 5432 --user "$SQL_USER" --database "$database" "$@"
}

set_up temporal temporal
set_up temporal_visibility visibility
