# A restart waits behind a reloadconfig whose watcher cannot start: the daemon leaves only when programs behave again.
seed 57513
behave several quits 200 signal 11
file several=3 other unstarted streamed extra
ask {"command":"set","properties":{"name":"several","options":{"warmup_delay":1},"waiting":false}}
ask {"command":"reloadconfig","properties":{"waiting":true,"dry_run":false}}
ask {"command": "restart"}
