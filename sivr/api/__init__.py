"""The HTTP edge: parse, one service call, respond. One file per noun."""
