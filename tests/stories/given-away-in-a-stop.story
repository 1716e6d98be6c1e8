# A watcher is given away in the middle of a stop whose kills wait for after_signal: they are told before the reaps.
seed 63178
advance 2462
ask {"command":"reload","properties":{"graceful":true,"sequential":true,"waiting":false}}
signal HUP
ask {"command":"reload","properties":{"graceful":false,"sequential":true,"waiting":true}}
advance 1308
hook hooked after_signal yes 1500 {}
advance 1249
advance 2491
advance 2575
advance 1702
ask {"command":"rm","properties":{"name":"hooked","nostop":true,"waiting":false}}
