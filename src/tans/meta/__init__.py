"""Learn the shared space of tasks and networks (TANS, Jeong et al., NeurIPS 2021, section 3.1).

``data`` reads a zoo into plain tensors, ``presets`` holds the settings, ``train`` learns the
encoders and the predictor, ``retriever`` is what comes out, and ``evaluate`` judges it.
"""
