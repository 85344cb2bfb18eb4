# No colours and no title sequences at the prompt, and a line wide enough not to scroll sideways: checks read this console.
PS1='\u@\h \w $ '
[ "$TERM" != dumb ] || stty cols 500 rows 50
