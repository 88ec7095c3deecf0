"""A service that searches a zoo for people's datasets, and what asks it.

    settings     what it takes and allows
    app          routes of HTTP, over
    service      datasets, searches, jobs: what a page calls too
    uploads      zips of strangers, unpacked with every limit checked
    datasets     images that are held for a while
    jobs         fine-tunes in a queue, each in a process of its own
    apart, work  such processes, and what is done in them
    guard        who may ask at all, and how much at once
    client       asks a service elsewhere; needs none of the extra ``web``

Whoever knows the id of a dataset or a job may use it. Ids cannot be guessed, and nothing lists
them.
"""
