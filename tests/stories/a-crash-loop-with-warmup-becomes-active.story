# Each process ends before the next one is started: with a warm-up delay the start never ended, and a restart of the
# daemon waited for it without end.
seed 3661
behave serial quits 1 signal 9
ask {"command":"rm","properties":{"name":"serial","waiting":false}}
ask {"command":"reloadconfig","properties":{"dry_run":false,"waiting":true}}
ask {"command": "restart"}
