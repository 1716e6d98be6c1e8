# before_spawn of one process and after_start run out of time at the same moment: the first stops the watcher, which
# takes back the second, and the second was then taken back once more.
seed 34804
behave hooked slow 354
advance 457
ask {"command":"signal","properties":{"name":"hooked","signum":10,"waiting":false}}
hook hooked before_spawn lost 1 {}
hook hooked after_start lost 1 {}
advance 2667
