# Two readings of the file are under way, the first for a request that was refused when the daemon began to leave. The
# second answer took away what the first had led to, and that request was never answered.
seed 6262
file several=5 touched patient unstarted streamed
ask {"command":"reloadconfig","properties":{"dry_run":true,"waiting":false}}
signal TERM
ask {"command":"reloadconfig","properties":{"dry_run":true,"waiting":false}}
