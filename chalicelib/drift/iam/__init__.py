"""IAM policies by meaning: two policy documents → did the change widen, narrow, both, or neither.

Text → ``document`` → regions of requests (``region``) → a search for requests that one document
lets through and the other does not (``search``) → ``compare``. Nothing is read from AWS here, and
the list of its actions is passed in (``actions.Reference``). What cannot be decided is undecided.

Source of the rules: AWS IAM User Guide, "Policy evaluation logic", "IAM JSON policy elements",
"IAM JSON policy elements: Condition operators", "Multivalued context keys", "Variables and tags".
"""
