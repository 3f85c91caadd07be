"""Fixed points of recurrent maps in discrete time, h <- f(u, h): GRU, LSTM, any function."""
