"""The page of a service: one story from images to a network that is taken away.

    mounting  puts the page under a service, behind its guard
    door      asks for the token, where a service has one
    blocks    what stands on the page, and what happens when it is used
    ranking   networks for a dataset, and those that fit limits, by arithmetic alone
    limits    what sliders say
    plane     the map of the space, laid out ahead
    charts    the map, accuracy against cost, and the curve of a fine-tune, as SVG
    texts     what the page says, and its tables

It calls ``Service`` as the routes do, and shows pictures and files by the routes' addresses.
"""
