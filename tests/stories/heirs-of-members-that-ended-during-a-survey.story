# A survey's answer names members that have ended since. They had forked before they went: the answer proves nothing,
# and the process was forgotten while the heirs lived.
seed 15
survey-lag 1894
advance 1359
ask {"command":"decr","properties":{"name":"hydra","nb":7,"waiting":true}}
settle
survey-lag 2464
ask {"command":"signal","properties":{"name":"hydra","signum":10,"waiting":false}}
advance 1918
