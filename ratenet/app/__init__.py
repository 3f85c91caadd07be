"""The page in the browser: a digit is drawn, the rates settle, and everything is seen at once.

What is shown is computed in plain classes, one object a tab: `Settling` of a trained run, `Plane`
of a circuit of two units. The page, which needs NiceGUI, draws their frames and hands them what is
moved.
"""
