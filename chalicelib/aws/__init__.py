"""Everything that calls AWS, through botocore: adapters of the ports that the flows define.

aws → drift, access, guard, evidence → kernel. Every module that calls AWS declares ``ACTIONS``, the
IAM actions that its calls need; the policies of the Lambda functions are checked against them.
"""
