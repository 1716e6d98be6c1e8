# A start that waits for a hook of the client is given up, and reloadconfig makes the watcher anew without it.
seed 70276
ask {"command":"reloadconfig","properties":{"waiting":false,"dry_run":false}}
ask {"command":"reloadconfig","properties":{"waiting":false,"dry_run":false}}
answer-lag 1808
ask {"command":"reloadconfig","properties":{"waiting":false,"dry_run":false}}
ask {"command":"stop","properties":{"waiting":false}}
ask {"command":"set","properties":{"name":"plain","options":{"hooks.before_start":"m.f"},"waiting":true}}
advance 417
ask {"command":"start","properties":{"name":"plain","waiting":false}}
ask {"command":"stop","properties":{"waiting":false}}
file touched backlog
