"""Where trunks come from: a module for each library, with the same four functions.

`transform(name)` says how the library's published weights want to be fed, `config(name)` what it takes to build the network
where the library cannot be asked, `build(name, size, config)` builds it with random weights, and `pretrained(name, trunk)`
reads the published ones, downloaded on first use. `infer.network.trunks` chooses the module by the name's prefix.
"""
